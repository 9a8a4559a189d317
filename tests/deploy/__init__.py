"""The files of `deploy/`, `compose.yaml` and the image fit the application, and validate."""

# The stand-in for Mailpit, as .ci/compose builds it.
FROM python:3.13-slim
COPY mail-catcher /mail-catcher
USER 10001
# Python as the first process of a container ignores SIGTERM, and this one has nothing to finish.
STOPSIGNAL SIGKILL
CMD ["python", "/mail-catcher"]

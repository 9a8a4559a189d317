# The stand-in for Mailpit, as .ci/compose builds it.
FROM python:3.13-slim
COPY mail-catcher /mail-catcher
USER 10001
CMD ["python", "/mail-catcher"]

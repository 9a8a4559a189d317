# One image for the four workers and the monitor; compose.yaml gives each container its command.
FROM python:3.13-slim AS build
COPY requirements.txt /tmp/requirements.txt
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/requirements.txt

FROM python:3.13-slim
# A new volume mounted at /data takes its owner from this folder.
RUN groupadd --gid 10001 saga \
 && useradd --uid 10001 --gid saga --no-create-home --home-dir /app --shell /usr/sbin/nologin saga \
 && mkdir /data \
 && chown saga:saga /data
# The whole virtual environment, so that nothing depends on the site-packages of the base image.
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY choregraphie choregraphie
COPY contracts contracts
COPY services services
COPY saga_monitor saga_monitor
COPY scripts scripts
RUN python -m compileall -q choregraphie contracts services saga_monitor
USER 10001:10001
ENTRYPOINT ["python", "-m", "services"]
CMD ["--help"]

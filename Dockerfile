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
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 SAGA_APP=services.application:APP \
    SAGA_METRICS_HOST=0.0.0.0 SAGA_METRICS_PORT=9464 LIVEZ_PORT=9464
WORKDIR /app
COPY choregraphie choregraphie
COPY contracts contracts
COPY services services
COPY saga_monitor saga_monitor
COPY scripts scripts
RUN python -m compileall -q choregraphie contracts services saga_monitor
USER 10001:10001
# Whether the process works, not whether it hears its inbox: a worker whose broker is away must not be restarted.
# bash asks in 3 ms, where Python would take 100. A worker answers within five seconds, or not at all.
HEALTHCHECK --interval=5s --timeout=7s --start-period=30s --retries=3 CMD ["bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/$LIVEZ_PORT; printf 'GET /livez HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3; read -r _ status _ <&3; [ \"$status\" = 200 ]"]
ENTRYPOINT ["python", "-m", "services"]
CMD ["--help"]

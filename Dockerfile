FROM python:3.11-slim-bookworm@sha256:0a310eeecf4e1f5a0743f9a6520c90c88d089c903ca5fd283f501e3a805f5f89 AS build
WORKDIR /build
RUN python -m venv /opt/mastery-engine
ENV PATH=/opt/mastery-engine/bin:$PATH
# The requirements change seldom: their layer stays when only the source does.
COPY requirements.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps . \
    && pip check

FROM python:3.11-slim-bookworm@sha256:0a310eeecf4e1f5a0743f9a6520c90c88d089c903ca5fd283f501e3a805f5f89
LABEL org.opencontainers.image.title="Mastery Engine" \
      org.opencontainers.image.version="1.0.0" \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 mastery \
    && useradd --uid 10001 --gid mastery --no-create-home --home-dir /data --shell /usr/sbin/nologin mastery \
    && install --directory --owner mastery --group mastery --mode 0700 /data
COPY --from=build /opt/mastery-engine /opt/mastery-engine
ENV PATH=/opt/mastery-engine/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    DATA_DIR=/data
USER 10001:10001
VOLUME /data
EXPOSE 8005
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ.get('PORT', '8005') + '/health', timeout=4)"]
ENTRYPOINT ["mastery-engine"]
CMD ["serve"]

FROM python:3.11-slim-bookworm@sha256:0a310eeecf4e1f5a0743f9a6520c90c88d089c903ca5fd283f501e3a805f5f89 AS build
WORKDIR /build
# What installs and builds has an environment of its own: the service's holds the requirements alone, without pip.
RUN python -m venv /opt/build \
    && python -m venv --without-pip /opt/mastery-engine
ENV PATH=/opt/build/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1
# The requirements change seldom: their layer stays when only the source does. Each file that is fetched has its hash in them, and
# none is built here, since a build would fetch tools that nobody pinned.
COPY requirements.txt requirements-build.txt ./
RUN python -m pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements-build.txt \
    && python -m pip --python /opt/mastery-engine/bin/python install --no-cache-dir --require-hashes --only-binary :all: \
        --report report.json -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY docs/runbooks.md ./docs/
COPY src ./src
COPY scripts/sbom.py ./scripts/
RUN python -m pip wheel --no-cache-dir --no-deps --no-index --no-build-isolation --wheel-dir dist . \
    && python -m pip --python /opt/mastery-engine/bin/python install --no-cache-dir --no-deps --no-index dist/*.whl \
    && python -m pip --python /opt/mastery-engine/bin/python check \
    && python scripts/sbom.py report.json /opt/mastery-engine/lib/python3.11/site-packages > sbom.cdx.json

FROM python:3.11-slim-bookworm@sha256:0a310eeecf4e1f5a0743f9a6520c90c88d089c903ca5fd283f501e3a805f5f89
LABEL org.opencontainers.image.title="Mastery Engine" \
      org.opencontainers.image.version="1.0.0" \
      org.opencontainers.image.licenses="MIT" \
      io.learnflow.sbom="/usr/share/doc/mastery-engine/sbom.cdx.json"
RUN groupadd --gid 10001 mastery \
    && useradd --uid 10001 --gid mastery --no-create-home --home-dir /data --shell /usr/sbin/nologin mastery \
    && install --directory --owner mastery --group mastery --mode 0700 /data
COPY --from=build /opt/mastery-engine /opt/mastery-engine
COPY --from=build /build/sbom.cdx.json /usr/share/doc/mastery-engine/sbom.cdx.json
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

# Interlingua's image: built from the lock file, run by nobody in particular, with nothing to write but its own folder.
# docker build -t interlingua . && docker run --rm -p 9000:9000 -e OPENAI_API_KEY interlingua
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements/run.txt requirements/run.txt
RUN python3 -m venv /opt/interlingua \
    && /opt/interlingua/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY interlingua interlingua
RUN /opt/interlingua/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps . \
    && /opt/interlingua/bin/python -m compileall -q /opt/interlingua/lib

FROM python:3.13-slim
LABEL org.opencontainers.image.title="Interlingua" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/interlingua /opt/interlingua
ENV PATH=/opt/interlingua/bin:$PATH HOME=/var/lib/interlingua PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
RUN install -d -m 1777 /etc/interlingua /var/lib/interlingua
USER 10001
WORKDIR /etc/interlingua
EXPOSE 9000
# What is alive may still be filling up: /ready is for the one that sends requests, /health for the one that restarts.
HEALTHCHECK --interval=15s --timeout=3s --start-period=5s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('PORT', '9000') + '/health', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["interlingua"]
CMD ["serve", "--host", "0.0.0.0"]

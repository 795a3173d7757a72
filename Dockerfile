# syntax=docker/dockerfile:1
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN pip install --no-cache-dir "uv>=0.8,<1"
COPY pyproject.toml uv.lock README.md LICENSE ./
COPY src ./src
RUN UV_PROJECT_ENVIRONMENT=/opt/tocsin uv sync --frozen --no-dev --no-editable --compile-bytecode

FROM python:3.11-slim-bookworm
COPY --from=build /opt/tocsin /opt/tocsin
RUN install -d -o 10001 -g 10001 -m 0700 /data
ENV PATH=/opt/tocsin/bin:$PATH TOCSIN_DATA=/data PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
VOLUME /data
EXPOSE 8642 4317 4318
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8642/readyz', timeout=4)"]
ENTRYPOINT ["tocsin"]
CMD ["serve", "--host", "0.0.0.0"]

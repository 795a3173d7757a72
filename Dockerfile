# syntax=docker/dockerfile:1
# any image with Python 3.11 or newer as `python`: a mirror's, or a hardened one
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
RUN pip install --no-cache-dir "uv>=0.8,<1"
ENV UV_PROJECT_ENVIRONMENT=/opt/tocsin UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
# what is installed changes less often than the source, and is a layer of its own
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-dev --no-install-project --compile-bytecode --no-cache \
  --extra kafka --extra redis --extra postgres --extra onnx --extra embed
COPY README.md LICENSE ./
COPY src ./src
RUN uv sync --frozen --no-dev --no-editable --compile-bytecode --no-cache \
  --extra kafka --extra redis --extra postgres --extra onnx --extra embed
# 75 MB that nothing here imports
RUN cd /opt/tocsin/lib/python3.*/site-packages && rm -rf numba/tests pandas/tests pyarrow/tests pyarrow/include

FROM ${BASE}
COPY --from=build /opt/tocsin /opt/tocsin
# compiled kernels go to /data/cache; members of a cluster share /shared, and keys come by /keys
RUN install -d -o 10001 -g 10001 -m 0700 /data /shared /keys
ENV PATH=/opt/tocsin/bin:$PATH TOCSIN_DATA=/data HOME=/nonexistent PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
VOLUME /data
EXPOSE 8642 4317 4318
HEALTHCHECK --interval=10s --timeout=5s --start-period=180s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8642/readyz', timeout=4)"]
ENTRYPOINT ["tocsin"]
CMD ["serve", "--host", "0.0.0.0"]

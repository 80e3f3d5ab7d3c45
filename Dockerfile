# The demo and every other command, for processors. docs/serving.md says how to run it.
FROM python:3.11-slim

# OpenMP, which PyTorch and ONNX Runtime need.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*

RUN python -m venv /opt/lxcompress
ENV PATH="/opt/lxcompress/bin:${PATH}" \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1

# Before the source: PyTorch is by far the largest layer, and changes rarely. Its version for
# processors, 2.13.0+cpu, comes before the 2.13.0 of PyPI, which brings CUDA along.
WORKDIR /src
COPY constraints.txt ./
RUN pip install --constraint constraints.txt \
    --extra-index-url https://download.pytorch.org/whl/cpu torch

COPY pyproject.toml README.md LICENSE NOTICE ./
COPY lxcompress lxcompress
COPY exporters exporters
COPY benchmarks benchmarks
COPY app app
RUN pip install --constraint constraints.txt .

RUN useradd --create-home --uid 1000 lxcompress \
    && mkdir --parents /data/cache \
    && chown --recursive lxcompress:lxcompress /data
USER lxcompress
WORKDIR /data
ENV LXCOMPRESS_CACHE=/data/cache
VOLUME /data

EXPOSE 7860
# The first start finds the default ticket, in minutes.
HEALTHCHECK --interval=30s --timeout=10s --start-period=15m \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/', timeout=5)"]
CMD ["lxcompress", "demo", "--host", "0.0.0.0", "--port", "7860"]

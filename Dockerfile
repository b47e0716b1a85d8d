# The page in a container, with or without an NVIDIA GPU. How to build and run it: docs/install.md.
#
# PYTHON  tag of the base image, python:PYTHON
# TORCH   extra package index that torch is taken from. Without it this is the build with CUDA, which
#         brings the CUDA libraries with it; with the index of the CPU builds it is far smaller.

ARG PYTHON=3.11-slim

FROM python:${PYTHON} AS build
ARG TORCH=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_EXTRA_INDEX_URL=${TORCH}
RUN python -m venv /opt/diffeditor
WORKDIR /source
COPY constraints.txt ./
RUN torch=$(grep '^torch==' constraints.txt) \
    && /opt/diffeditor/bin/pip install -c constraints.txt "$torch"
COPY pyproject.toml README.md LICENSE ./
COPY assets ./assets
COPY diffeditor ./diffeditor
COPY ui ./ui
RUN /opt/diffeditor/bin/pip install -c constraints.txt ".[ui]"

FROM python:${PYTHON}
RUN useradd --create-home --uid 1000 editor && install --directory --owner=editor /models
COPY --from=build /opt/diffeditor /opt/diffeditor
ENV PATH=/opt/diffeditor/bin:$PATH \
    HF_HOME=/models \
    GRADIO_ANALYTICS_ENABLED=False \
    NO_PROXY=localhost,127.0.0.1,0.0.0.0 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER editor
WORKDIR /home/editor
VOLUME ["/models"]
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=180s \
    CMD ["python", "-c", "import urllib.request as web; web.urlopen('http://127.0.0.1:7860/', timeout=4)"]
ENTRYPOINT ["diffeditor"]
CMD ["app", "--host", "0.0.0.0"]

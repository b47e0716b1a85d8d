# The page on an NVIDIA GPU:
#
#     docker build -t diffeditor .
#     docker run --gpus all -p 127.0.0.1:7860:7860 -v diffeditor-models:/home/editor/.cache diffeditor
#
# No check of the project builds this image, so treat it as a starting point. torch's default Linux
# wheel is the CUDA build and brings its own CUDA libraries, in the versions that constraints.txt
# pins; the base image gives the CUDA runtime.

FROM nvidia/cuda:13.0.1-base-ubuntu24.04

RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home editor \
    && install --directory --owner=editor /opt/diffeditor /home/editor/.cache

USER editor
WORKDIR /opt/diffeditor
COPY --chown=editor . .
RUN python3 -m venv .venv \
    && .venv/bin/pip install --no-cache-dir -c constraints.txt -e ".[ui]"

ENV GRADIO_ANALYTICS_ENABLED=False
EXPOSE 7860
VOLUME ["/home/editor/.cache"]
HEALTHCHECK --interval=30s --timeout=5s --start-period=180s \
    CMD [".venv/bin/python", "-c", "import urllib.request as web; web.urlopen('http://127.0.0.1:7860/', timeout=4)"]
CMD [".venv/bin/python", "app.py", "--host", "0.0.0.0"]

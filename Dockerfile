# paraminspect with torch's build for CPUs, run by a user without rights:
#
#     docker build -t paraminspect .
#     docker run --rm -v "$PWD:/models:ro" paraminspect list model.safetensors
#
# `--build-arg TORCH=no` leaves torch out: files only, 100 MB instead of 1 GB.
FROM python:3.12-slim AS build
ARG TORCH=yes
WORKDIR /source
COPY pyproject.toml hatch_build.py README.md LICENSE CHANGELOG.md constraints.txt requirements-files.txt ./
COPY src src
COPY docs docs
COPY benchmarks benchmarks
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/paraminspect \
 && if [ "$TORCH" = yes ]; then \
      /opt/paraminspect/bin/pip install -c constraints.txt --extra-index-url https://download.pytorch.org/whl/cpu .; \
    else \
      /opt/paraminspect/bin/pip install -c constraints.txt --no-deps -r requirements-files.txt .; \
    fi

FROM python:3.12-slim
COPY --from=build /opt/paraminspect /opt/paraminspect
RUN useradd --create-home --uid 1000 inspector
USER 1000
WORKDIR /models
ENTRYPOINT ["/opt/paraminspect/bin/paraminspect"]
CMD ["--help"]

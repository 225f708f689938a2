# Build and test stages only call the Makefile's targets; the last stage is the binary and what it links.
FROM debian:12 AS build
RUN apt-get update && apt-get install -y --no-install-recommends git make ca-certificates
WORKDIR /src
COPY . .
RUN make build

FROM build AS test
RUN make test

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
      libssl3 libsqlite3-0 libc-ares2 libspdlog1.10 libpsl5 libidn2-0 libprometheus-cpp-core1.0 libsystemd0 libcurl4 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home-dir /var/lib/gatehouse --create-home gatehouse
COPY --from=build /src/build/release/gatehouse /usr/bin/gatehouse
USER gatehouse
WORKDIR /var/lib/gatehouse
EXPOSE 8443 8080
ENTRYPOINT ["/usr/bin/gatehouse"]
CMD ["serve", "--config", "/var/lib/gatehouse/gatehouse.json"]

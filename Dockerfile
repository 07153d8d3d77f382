# syntax=docker/dockerfile:1

# The crates this one depends on are built in a layer of their own, which only a change of
# Cargo.toml or Cargo.lock makes anew. Two crates (aws-lc, SQLite) hold C code: the image brings gcc, and
# cmake is not needed. Built as a release is, by the Rust that it names.
FROM rust:1.95.0-slim-bookworm AS builder
WORKDIR /build
COPY packaging/release packaging/
COPY Cargo.toml Cargo.lock ./
RUN mkdir src \
 && echo 'fn main() {}' > src/main.rs \
 && touch src/lib.rs \
 && packaging/release \
 && rm -r src
COPY build.rs ./
COPY src src
COPY clients clients
# Copied files keep their times, which may be older than those of the placeholders above.
RUN touch src/main.rs src/lib.rs \
 && packaging/release

RUN mkdir /var/lib/statshub

# glibc, libgcc, CA certificates and nothing else: no shell, no package manager, no root.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=builder /build/target/release/statshub /statshub
# Where the store's file is made, so mount a volume here; and where ./config.toml is looked for, unless
# one is named with --config. The built-in defaults are those of config.toml in the project.
COPY --from=builder --chown=nonroot:nonroot /var/lib/statshub /var/lib/statshub
WORKDIR /var/lib/statshub
VOLUME /var/lib/statshub
# A container's loopback is reachable by nobody. JWT_SECRET, or a key in the file, must be given.
ENV HOST=0.0.0.0
EXPOSE 3001
HEALTHCHECK --interval=10s --timeout=6s --start-period=5s --retries=3 CMD ["/statshub", "health"]
ENTRYPOINT ["/statshub"]

# An image for amd64 and arm64: the Debian package, built and installed. The build stage runs on the builder's own processor, so that nothing is
# emulated:
#   docker buildx build --platform linux/arm64 --tag hiddenstate .
#   docker run --detach --restart unless-stopped --network host \
#     --volume ./config.yaml:/etc/hiddenstate/config.yaml:ro --volume hiddenstate:/var/lib/hiddenstate hiddenstate
FROM --platform=$BUILDPLATFORM node:22-bookworm-slim AS build
ARG TARGETARCH
# What the package's files are dated by; a build without a repository knows no commit.
ARG SOURCE_DATE_EPOCH=0
WORKDIR /source
COPY . .
RUN npm ci
# It is installed two lines on: compressing it would be for nothing.
RUN npm run deb -- --arch "$TARGETARCH" --quick --out /source/out

# The package carries its Node, so the image needs none, nor npm.
FROM debian:bookworm-slim
COPY --from=build /source/out/ /tmp/package/
RUN dpkg --install /tmp/package/*.deb && rm -r /tmp/package
RUN install -d -m 700 -o hiddenstate -g hiddenstate /var/lib/hiddenstate
USER hiddenstate
VOLUME /var/lib/hiddenstate
# The first one is due after a start that replays much.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["hiddenstate", "status", "--state", "/var/lib/hiddenstate"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["hiddenstate"]
CMD ["run", "/etc/hiddenstate/config.yaml"]

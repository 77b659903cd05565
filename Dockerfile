# syntax=docker/dockerfile:1
# scripts/check-dockerfile.ts runs each of these steps outside of Docker and checks what they leave.

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY . .
RUN npm run build

FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund --omit=dev

FROM node:24-bookworm-slim AS runtime
ENV NODE_ENV=production HOST=0.0.0.0 DATA_DIR=/data
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json ./
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "dist/scripts/healthcheck.js"]

# docker build --target event-bus: the event bus alone.
FROM runtime AS event-bus
ENV PORT=3100
EXPOSE 3100
CMD ["node", "dist/src/event-bus.main.js"]

# The server: what is built where no target is named.
FROM runtime AS server
ENV PORT=3000
EXPOSE 3000
CMD ["node", "dist/src/main.js"]

# The service as a long-running process: see docs/deploy.md.
FROM node:22-bookworm-slim AS build
WORKDIR /service
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
# What only the service needs is no dependency of the package: here it is one, at the versions of the lock file.
RUN npm run build \
  && for name in fastify kysely ghtml htmlparser2 @fastify/cors @fastify/swagger @fastify/swagger-ui prom-client; do \
    npm pkg set "dependencies.$name=$(npm pkg get "devDependencies.$name" | tr -d '"')" && npm pkg delete "devDependencies.$name"; \
  done \
  && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:22-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000
WORKDIR /service
COPY --from=build /service/package.json ./
COPY --from=build /service/node_modules ./node_modules
COPY --from=build /service/dist ./dist
COPY --from=build /service/public ./public
# Nothing of the above is theirs to write.
USER node
EXPOSE 3000
# It is up; whether it can answer is for a load balancer to ask: /health/ready.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "--eval", "fetch('http://127.0.0.1:'+process.env.PORT+'/health/live').then((r)=>process.exit(r.ok?0:1),()=>process.exit(1))"]
# Without npm in between: signals reach the process itself.
CMD ["node", "dist/server.js"]

import { AppModule } from './app.module.js';
import { createApplication, type AppOptions, type HttpApplication } from './http-application.js';
import { SERVER_API } from './platform/http/openapi.js';

/** Makes the server's HTTP application, which does not listen yet. */
export function createServer(options: AppOptions): Promise<HttpApplication> {
  return createApplication(AppModule.register(options), options, SERVER_API);
}

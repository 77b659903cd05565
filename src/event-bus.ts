import { EventBusModule } from './event-bus.module.js';
import { createApplication, type AppOptions, type HttpApplication } from './http-application.js';
import { EVENT_BUS_API } from './platform/http/openapi.js';

/** Makes the HTTP application of the event bus alone, which does not listen yet. */
export function createEventBus(options: AppOptions): Promise<HttpApplication> {
  return createApplication(EventBusModule.register(options), options, EVENT_BUS_API);
}

import { Injectable } from '@nestjs/common';
import { Logger } from 'nestjs-pino';

/** What Nest itself tells on every start: of use to whoever looks for a wiring fault. */
const FRAMEWORK = new Set(['InstanceLoader', 'RoutesResolver', 'RouterExplorer', 'NestFactory']);

/** The logger of the application, which leaves Nest's account of its own start to `debug`. */
@Injectable()
export class ServerLogger extends Logger {
  override log(message: unknown, ...rest: unknown[]): void {
    if (FRAMEWORK.has(String(rest.at(-1)))) this.debug(message, ...rest);
    else super.log(message, ...rest);
  }
}

import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { STATUS_CODES, type IncomingMessage, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { AUTHENTICATOR, type PrincipalAuthenticator } from '../../core/contracts/authenticator.js';
import { Draining } from '../../platform/health/draining.js';
import { LiveStreams } from './live-streams.js';
import { WsConnection } from './ws-connection.js';

const PATH = '/api/v1/events/stream';
const PROTOCOL = 'varve.events.v1';
/** Where a browser, which cannot set headers here, puts the key: one of the protocols it offers. */
const KEY_PROTOCOL = /^varve\.key\.([\x21-\x7e]+)$/;
const MAX_MESSAGE_BYTES = 16 * 1024;
const FAREWELL_MS = 2_000;

/** Takes WebSockets at the path of the stream. Whoever proves nothing gets a 401 and no socket. */
@Injectable()
export class WsGateway implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(WsGateway.name);
  private readonly sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has(PROTOCOL) ? PROTOCOL : false),
  });

  constructor(
    private readonly adapterHost: HttpAdapterHost,
    private readonly streams: LiveStreams,
    @Inject(AUTHENTICATOR) private readonly authenticator: PrincipalAuthenticator,
    draining: Draining,
  ) {
    draining.signal.addEventListener('abort', () => this.closeAll());
  }

  onApplicationBootstrap(): void {
    const server = this.adapterHost.httpAdapter.getHttpServer() as Server;
    server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', () => socket.destroy());
      this.upgrade(req, socket, head).catch((error: unknown) => {
        this.logger.error({ err: error }, 'A WebSocket could not be opened');
        refuse(socket, 503);
      });
    });
  }

  onModuleDestroy(): void {
    for (const socket of this.sockets.clients) socket.terminate();
  }

  /** The server waits for every connection to end; a reader that is silent does not hold it up. */
  private closeAll(): void {
    for (const socket of this.sockets.clients) socket.close(1001, 'server-stopping');
    setTimeout(() => this.onModuleDestroy(), FAREWELL_MS).unref();
  }

  private async upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    if (req.url?.split('?', 1)[0] !== PATH) return refuse(socket, 404);
    const credentials = credentialsOf(req);
    const principal = credentials && (await this.authenticator.identify(credentials));
    if (!credentials || !principal) return refuse(socket, 401);
    this.sockets.handleUpgrade(req, socket, head, (opened) => {
      new WsConnection(opened, credentials, this.streams);
    });
  }
}

function credentialsOf({ headers }: IncomingMessage): string | null {
  if (headers.authorization) return headers.authorization;
  for (const protocol of headers['sec-websocket-protocol']?.split(',') ?? []) {
    const key = KEY_PROTOCOL.exec(protocol.trim())?.[1];
    if (key) return `Bearer ${key}`;
  }
  return null;
}

function refuse(socket: Duplex, status: 401 | 404 | 503): void {
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
  );
}

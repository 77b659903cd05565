import type { INestApplication } from '@nestjs/common';
import type { Express } from 'express';
import { EVENT_SCHEMAS } from '../../core/events/catalog.schemas.js';
import type { JsonObject, JsonValue } from '../../core/json.js';
import { CURSOR_EXAMPLE, CURSOR_PATTERN } from '../log/events.dto.js';
import { SOURCE } from '../log/event-log.js';

const ADDRESS = '/api/v1/events/stream';

/** What every event has besides its data: CloudEvents 1.0. */
const ENVELOPE: JsonObject = {
  type: 'object',
  properties: {
    specversion: { type: 'string', const: '1.0' },
    id: {
      type: 'string',
      format: 'uuid',
      description:
        'The same however often the event is told: what makes handling it twice harmless.',
    },
    source: { type: 'string', examples: [SOURCE] },
    type: { type: 'string' },
    subject: { type: 'string', description: 'What it is about.', examples: ['dataset/12'] },
    time: { type: 'string', format: 'date-time' },
    datacontenttype: { type: 'string', const: 'application/json' },
    correlationid: { type: ['string', 'null'], description: 'The request that it came from.' },
    cursor: {
      type: 'string',
      pattern: CURSOR_PATTERN.source,
      description: 'Where it stands in the log: resume after it.',
      examples: [CURSOR_EXAMPLE],
    },
  },
  required: ['specversion', 'id', 'source', 'type', 'subject', 'time', 'datacontenttype', 'data'],
};

/** The AsyncAPI 3 description of every event type, made from the catalogue. */
export function describeEvents(): JsonObject {
  const types = Object.entries(EVENT_SCHEMAS);
  const toMap = (entryOf: (type: string, data: JsonObject) => JsonValue): JsonObject =>
    Object.fromEntries(types.map(([type, data]) => [type, entryOf(type, data)]));
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Varve events',
      version: '1.0.0',
      description:
        'What happens to datasets, versions and files, as CloudEvents 1.0. Types are dotted, from the general to the particular; their data changes by addition only.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    defaultContentType: 'application/cloudevents+json',
    channels: {
      events: {
        address: ADDRESS,
        title: 'Everything that happens, as far as the reader may read what it is about',
        messages: toMap((type) => ({ $ref: `#/components/messages/${type}` })),
      },
    },
    operations: {
      tellEvents: {
        action: 'send',
        title: 'Tell what has happened',
        description:
          'At least once, in the order of each subject, and never for something that was rolled back.',
        channel: { $ref: '#/channels/events' },
      },
    },
    components: {
      messages: toMap((type, { description }) => ({
        name: type,
        title: type,
        ...(description !== undefined && { summary: description }),
        contentType: 'application/cloudevents+json',
        payload: {
          allOf: [
            { $ref: '#/components/schemas/Envelope' },
            {
              type: 'object',
              properties: {
                type: { type: 'string', const: type },
                data: { $ref: `#/components/schemas/${type}` },
              },
              required: ['type', 'data'],
            },
          ] satisfies JsonObject[] as JsonObject[],
        },
      })),
      schemas: { Envelope: ENVELOPE, ...toMap((_, data) => data) },
    },
  };
}

/** Serves the description at `/api/asyncapi.json`, to everybody, as the one of the API is. */
export function serveEventDescription(app: INestApplication): void {
  const text = JSON.stringify(describeEvents());
  const express = app.getHttpAdapter().getInstance() as Express;
  express.get('/api/asyncapi.json', (_, res) => {
    res.type('application/json').send(text);
  });
}

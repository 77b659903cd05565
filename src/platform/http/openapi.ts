import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';

const TAGS: [name: string, description: string][] = [
  ['files', 'Stored contents: each once, whoever uploads it'],
  ['datasets', 'Named collections with tags and metadata'],
  ['versions', 'Commits, their files and their history'],
  ['search', 'Finding datasets by words and contents by their digest'],
  ['jobs', 'Work that outlives a request'],
  ['webhooks', 'Events posted to an address'],
  ['events', 'What happened, and who follows it'],
  ['users', 'Who may come in'],
  ['groups', 'Users to whom something is granted as to one'],
  ['permissions', 'Who may do what with datasets and files'],
  ['audit', 'Who did what, and what was refused'],
  ['login', 'Signing in with a password'],
  ['api-keys', 'What proves who somebody is'],
  ['administration', 'Garbage collection and verification'],
  ['operations', 'Health and metrics'],
];

/** What one of the APIs is called. */
export interface ApiTitle {
  readonly title: string;
  readonly description: string;
}

export const SERVER_API: ApiTitle = {
  title: 'Varve',
  description: 'A self-hosted server for versioned datasets.',
};

export const EVENT_BUS_API: ApiTitle = {
  title: 'Varve event bus',
  description: 'The event bus of Varve, as a service of its own.',
};

/** The OpenAPI 3.1 description of an application's whole API. */
export function describeApi(app: INestApplication, api: ApiTitle): OpenAPIObject {
  const builder = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle(api.title)
    .setDescription(api.description)
    .setVersion('1')
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .addServer('/', 'This server')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'An API key.' })
    .addSecurityRequirements('bearer');
  const document = SwaggerModule.createDocument(app, builder.build());
  const used = new Set(
    Object.values(document.paths).flatMap((operations) =>
      Object.values(operations as Record<string, { tags?: string[] }>).flatMap(
        ({ tags }) => tags ?? [],
      ),
    ),
  );
  const tags = TAGS.map(([name, description]) => ({ name, description }));
  return { ...document, tags: tags.filter(({ name }) => used.has(name)) };
}

/** Serves the description at `/api/openapi.json` and a page to try it at `/api/docs`. */
export function serveApiDescription(app: INestApplication, api: ApiTitle): void {
  SwaggerModule.setup('api/docs', app, () => describeApi(app, api), {
    jsonDocumentUrl: 'api/openapi.json',
    yamlDocumentUrl: 'api/openapi.yaml',
    customSiteTitle: `${api.title} API`,
  });
}

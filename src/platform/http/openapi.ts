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

/** The OpenAPI 3.1 description of the whole API. */
export function describeApi(app: INestApplication): OpenAPIObject {
  const builder = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Varve')
    .setDescription('A self-hosted server for versioned datasets.')
    .setVersion('1')
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .addServer('/', 'This server')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'An API key.' })
    .addSecurityRequirements('bearer');
  for (const [name, description] of TAGS) builder.addTag(name, description);
  return SwaggerModule.createDocument(app, builder.build());
}

/** Serves the description at `/api/openapi.json` and a page to try it at `/api/docs`. */
export function serveApiDescription(app: INestApplication): void {
  SwaggerModule.setup('api/docs', app, () => describeApi(app), {
    jsonDocumentUrl: 'api/openapi.json',
    yamlDocumentUrl: 'api/openapi.yaml',
    customSiteTitle: 'Varve API',
  });
}

import { CannotStart } from '../../core/cannot-start.js';
import { BROKER_SCHEMES } from '../../core/contracts/event-broker.js';
import ms from 'ms';
import { isIP } from 'node:net';
import path from 'node:path';
import { z } from 'zod';

const duration = (fallback: string) =>
  z
    .string()
    .regex(/^\d+(ms|s|m|h|d)$/, 'takes a duration such as 30s, 15m or 24h')
    .default(fallback)
    .transform((text) => ms(text as ms.StringValue));

const wholeNumber = (fallback: number, minimum: number, maximum: number) =>
  z
    .string()
    .regex(/^\d+$/, 'takes a whole number')
    .default(String(fallback))
    .transform(Number)
    .refine(
      (value) => value >= minimum && value <= maximum,
      `takes a whole number from ${minimum} to ${maximum}`,
    );

/** Languages that PostgreSQL brings a stemmer for. */
const LANGUAGES = new Set(
  (
    'arabic armenian basque catalan danish dutch english finnish french german greek hindi ' +
    'hungarian indonesian irish italian lithuanian nepali norwegian portuguese romanian russian ' +
    'serbian spanish swedish tamil turkish yiddish'
  ).split(' '),
);

const languages = (fallback: string) =>
  z
    .string()
    .default(fallback)
    .transform((text) => (text === 'none' ? [] : [...new Set(text.split(','))]))
    .refine(
      (names) => names.length <= 8 && names.every((name) => LANGUAGES.has(name)),
      `takes none, or up to 8 of ${[...LANGUAGES].join(', ')}, with commas between`,
    );
/** 32 bytes in base64. */
const SECRETS_KEY = /^[A-Za-z0-9+/]{43}=$/;

/** What Express's `trust proxy` understands. */
function isProxy(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/');
  if (['loopback', 'linklocal', 'uniquelocal'].includes(text)) return true;
  const bits = { 4: 32, 6: 128 }[isIP(address)];
  if (bits === undefined || rest.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits);
}

/** The URL itself is never said: it may hold a password. */
function isEventBus(text: string): boolean {
  if (text === 'memory:') return true;
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password, search, hash } = new URL(text);
  if (hostname === '') return false;
  if (BROKER_SCHEMES.some((scheme) => protocol === `${scheme}:`)) return true;
  return isHttp(text) && [username, password, search, hash].every((part) => part === '');
}

function isHttp(text: string): boolean {
  return /^https?:/.test(text);
}

const MEBIBYTE = 1024 * 1024;

/** The environment variables, one for one; each description is its line in docs/configuration.md. */
const schema = z.object({
  PORT: wholeNumber(3000, 0, 65_535).describe('The TCP port; 0 takes any free one'),
  HOST: z.string().min(1).default('127.0.0.1').describe('The address to listen on'),
  DATA_DIR: z
    .string()
    .min(1)
    .default('./data')
    .transform((dir) => path.resolve(dir))
    .describe('The embedded database, local artifacts and scratch space'),
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'takes a URL such as postgres://user@host:5432/name')
    .optional()
    .describe('An outside PostgreSQL; without it one is embedded under DATA_DIR'),
  DATABASE_POOL_SIZE: wholeNumber(20, 2, 500).describe('How many connections one process opens'),
  STORAGE_URL: z
    .string()
    .regex(/^[a-z][a-z0-9+.-]*:/, 'takes a URL such as file:///srv/varve')
    .optional()
    .describe('Where bytes lie; without it under DATA_DIR'),
  EVENT_BUS_URL: z
    .string()
    .default('memory:')
    .refine(
      isEventBus,
      `takes memory:, the URL of a broker (${BROKER_SCHEMES.join(', ')}) such as nats://localhost:4222, or the plain address of an event bus such as http://localhost:3100`,
    )
    .describe(
      'How events travel: `memory:` within the database, or the URL of a broker that they are relayed to and consumed from, such as `nats://localhost:4222`, or the address of an event bus that they are forwarded to, such as `http://localhost:3100`',
    ),
  EVENT_BUS_KEY: z
    .string()
    .min(16, 'takes 16 characters or more')
    .regex(/^[\x21-\x7e]+$/, 'takes visible ASCII characters, and no space')
    .optional()
    .describe(
      "An administrator's API key on the event bus that events are forwarded to, with the scope `write`",
    ),
  EVENT_HANDLER_TIMEOUT: duration('15s').describe(
    'How long the handler of an event may take before it is given up',
  ),
  EVENT_RETENTION: duration('30d').describe(
    'How long events can be read again, and dead letters are kept',
  ),
  EVALUATION_RETENTION: duration('90d').describe(
    'How long the event bus keeps the result of an evaluation',
  ),
  EVENT_STREAM_HEARTBEAT: duration('15s').describe(
    'How often a live stream shows that it lives, and its reader is asked for anew',
  ),
  EVENT_STREAM_LIMIT: wholeNumber(5_000, 1, 1_000_000).describe(
    'How many live streams one process holds open',
  ),
  WEBHOOK_ALLOWED_HOSTS: z
    .string()
    .default('')
    .transform((text) => text.split(/[\s,]+/).filter((host) => host !== ''))
    .describe('Hosts inside that webhooks may be sent to, divided by commas'),
  ADMIN_TOKEN: z
    .string()
    .min(16, 'takes 16 characters or more')
    .regex(/^[\x21-\x7e]+$/, 'takes visible ASCII characters, and no space')
    .optional()
    .describe("The first administrator's API key; without it one is made and printed once"),
  SECRETS_KEY: z
    .string()
    .default('')
    .refine(
      (text) => text === '' || text.split(',').every((key) => SECRETS_KEY.test(key)),
      'takes 32 random bytes in base64 (openssl rand -base64 32), or several such keys with commas between',
    )
    .transform((text) =>
      text.split(',').flatMap((key) => (key ? [Buffer.from(key, 'base64')] : [])),
    )
    .describe(
      'Seals the secrets that the database holds, such as those of webhooks: 32 random bytes in base64. Of several, with commas between, the first seals and all of them open. Without it a key is made and kept with the bytes',
    ),
  OIDC_ISSUER: z
    .url({ protocol: /^https?$/, error: 'takes the URL of an OpenID provider' })
    .optional()
    .describe('The OpenID provider whose tokens let their bearers in'),
  OIDC_AUDIENCE: z.string().min(1).optional().describe('Whom its tokens must be meant for'),
  OIDC_JWKS_URL: z
    .url({ protocol: /^https?$/, error: 'takes the URL of a JSON Web Key Set' })
    .optional()
    .describe("Where its keys are; without it where the provider's discovery document says"),
  OIDC_CLOCK_TOLERANCE: duration('30s').describe("How far its clock may be from this one's"),
  OIDC_NAME_CLAIM: z
    .string()
    .min(1)
    .default('preferred_username')
    .describe('The claim with what to call somebody who comes for the first time'),
  OIDC_ROLE_CLAIM: z
    .string()
    .min(1)
    .default('roles')
    .describe('The claim with the roles, such as realm_access.roles'),
  OIDC_ADMIN_ROLE: z
    .string()
    .min(1)
    .optional()
    .describe('Which of them makes an administrator; without it roles are given here'),
  ACCESS_TOKEN_TTL: duration('15m').describe('How long the token of a login works'),
  SESSION_TTL: duration('30d').describe('How long a login can be renewed'),
  LOGIN_ATTEMPTS: wholeNumber(10, 1, 1000).describe('How many failures in a row lock a name'),
  LOGIN_LOCK: duration('15m').describe('For how long they lock it'),
  RATE_LIMIT_CREDENTIAL: wholeNumber(600_000, 0, 1_000_000_000).describe(
    'How many requests a minute one key, session or token may make; 0 for no limit',
  ),
  RATE_LIMIT_ADDRESS: wholeNumber(600, 0, 1_000_000_000).describe(
    'How many requests a minute without a good credential one address may make; 0 for no limit',
  ),
  MAX_BRANCHES: wholeNumber(10_000, 1, 1_000_000).describe('How many branches a dataset may have'),
  MAX_TAGS: wholeNumber(10_000, 1, 1_000_000).describe('How many version tags a dataset may have'),
  MAX_DRAFTS: wholeNumber(1000, 1, 1_000_000).describe(
    'How many drafts of a dataset may be open at a time',
  ),
  MAX_WEBHOOKS: wholeNumber(100, 0, 1_000_000).describe('How many webhooks a user may have'),
  USER_QUOTA_BYTES: wholeNumber(0, 0, Number.MAX_SAFE_INTEGER).describe(
    'How many different bytes a user may hold, in uploads and in datasets of its own, where no other quota is set for it; 0 for no limit',
  ),
  DATASET_QUOTA_BYTES: wholeNumber(0, 0, Number.MAX_SAFE_INTEGER).describe(
    'How many different bytes the versions and drafts of a dataset may hold, where no other quota is set for it; 0 for no limit',
  ),
  TRUSTED_PROXIES: z
    .string()
    .default('')
    .transform((text) => text.split(',').flatMap((part) => part.trim() || []))
    .refine(
      (proxies) => proxies.every(isProxy),
      'takes addresses, networks such as 10.0.0.0/8, loopback, linklocal or uniquelocal',
    )
    .describe('Proxies whose X-Forwarded-For is believed, separated by commas'),
  AUDIT_RETENTION: duration('3650d').describe('How long entries of the audit log are kept'),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .default('info')
    .describe('The least severe level that is logged'),
  GC_GRACE: duration('24h').describe('How long unreferenced bytes are kept'),
  GC_SCHEDULE: z.string().default('17 * * * *').describe('When garbage is collected, as cron'),
  STAGING_GRACE: duration('24h').describe(
    'How long an unfinished upload may lie still before it is garbage',
  ),
  UPLOAD_HOLD: duration('24h').describe('How long an upload is kept for its uploader'),
  RECORDS_INTERVAL: duration('2s').describe(
    'How soon what datasets, branches and tags have become is written to the storage as well',
  ),
  DRAFT_TTL: duration('7d').describe('How long a draft may lie unchanged before it is discarded'),
  BRANCH_RETENTION: duration('7d').describe(
    'How long a deleted branch keeps its versions from retention rules, to be restored',
  ),
  REMOVAL_GRACE: duration('1m').describe(
    'How long what a removed version held stays for requests that are reading it',
  ),
  RETENTION_SCHEDULE: z
    .string()
    .default('41 3 * * *')
    .describe('When the retention rules of datasets are carried out, as cron'),
  DATASET_RETENTION: duration('7d').describe('How long a deleted dataset can be restored'),
  IDEMPOTENCY_RETENTION: duration('24h').describe('How long an Idempotency-Key is remembered'),
  JOB_CONCURRENCY: wholeNumber(4, 1, 64).describe('How many jobs one process does at a time'),
  JOB_RETENTION: duration('30d').describe('How long a job is listed after its end'),
  JSON_LIMIT_BYTES: wholeNumber(10 * MEBIBYTE, 1024, 1024 * MEBIBYTE).describe(
    'The largest JSON body',
  ),
  IMPORT_LIMIT_BYTES: wholeNumber(1024 * MEBIBYTE, 1024, 1024 * 1024 * MEBIBYTE).describe(
    'The largest exported dataset that can be imported',
  ),
  SEARCH_LANGUAGES: languages('english').describe(
    'Languages whose word forms searching knows (`ices` finds `ice`), such as `english,german`; `none` for no forms at all. Words of every language are found as they are written',
  ),
  TABLE_WORKERS: wholeNumber(2, 1, 64).describe(
    'How many processes of their own read tables for requests; as many more run queries, and half as many do jobs',
  ),
  TABLE_WORKER_MEMORY_BYTES: wholeNumber(
    512 * MEBIBYTE,
    256 * MEBIBYTE,
    1024 * 1024 * MEBIBYTE,
  ).describe('The memory of one process that reads tables; one that takes more is ended'),
  TABLE_WORKER_THREADS: wholeNumber(0, 0, 256).describe(
    'How many threads one of them computes with; 0 takes as many as there are processors, 4 at the most',
  ),
  TABLE_SCRATCH_BYTES: wholeNumber(4096 * MEBIBYTE, 16 * MEBIBYTE, 1024 * 1024 * MEBIBYTE).describe(
    'How much one of them may put on the disk under DATA_DIR while it reads',
  ),
  TABLE_CACHE_BYTES: wholeNumber(4096 * MEBIBYTE, 0, 1024 * 1024 * MEBIBYTE).describe(
    'How much of what was fetched, decompressed or converted to be read is kept under DATA_DIR',
  ),
  TABLE_TIMEOUT: duration('2m').describe('How long a request may read a table'),
  QUERY_TIMEOUT: duration('10m').describe(
    'How long a query may take, its result read by the caller included',
  ),
  TABLE_JOB_TIMEOUT: duration('1h').describe('How long a job may read a table'),
  SHUTDOWN_GRACE: duration('30s').describe('How long running requests may take after SIGTERM'),
});

/** What one setting alone cannot tell. */
const whole = schema
  .refine(
    ({ OIDC_ISSUER, OIDC_AUDIENCE }) =>
      (OIDC_ISSUER === undefined) === (OIDC_AUDIENCE === undefined),
    { path: ['OIDC_AUDIENCE'], error: 'must be given with OIDC_ISSUER, and not without' },
  )
  .refine(
    ({ EVENT_BUS_URL, EVENT_BUS_KEY }) => isHttp(EVENT_BUS_URL) === (EVENT_BUS_KEY !== undefined),
    {
      path: ['EVENT_BUS_KEY'],
      error: 'must be given with an EVENT_BUS_URL of http or https, and not without',
    },
  );

/** What the server is told by its environment, parsed: durations in milliseconds, paths absolute. */
export type Config = Readonly<z.output<typeof schema>>;

export const CONFIG = Symbol('CONFIG');

/** A setting that cannot be used; the message names it and says what it takes. */
export class InvalidConfig extends CannotStart {
  override readonly name = 'InvalidConfig';

  constructor(complaints: readonly string[]) {
    super(complaints.join('\n'));
  }
}

/**
 * Parses and validates the environment. An empty variable counts as none.
 * @throws InvalidConfig naming each variable that is wrong
 */
export function readConfig(environment: NodeJS.ProcessEnv): Config {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([name, value]) => name in schema.shape && value !== ''),
  );
  const parsed = whole.safeParse(given);
  if (parsed.success) return parsed.data;
  throw new InvalidConfig(
    parsed.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`),
  );
}

/** Name, default and meaning of each variable, for the documentation. */
export function describeConfig(): { name: string; fallback: string | null; meaning: string }[] {
  return Object.entries(schema.shape).map(([name, field]) => {
    const fallback = (z.toJSONSchema(field, { io: 'input' }) as { default?: string }).default;
    return { name, fallback: fallback ?? null, meaning: field.description ?? '' };
  });
}

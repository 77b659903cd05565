import { createEventBus } from './event-bus.js';
import { runProcess } from './run-process.js';

/** The event bus alone, as its own service: beside a server on one machine, unless told otherwise. */
const BESIDE_A_SERVER = { PORT: '3100', DATA_DIR: './data-bus' };

const given = Object.entries(process.env).filter(([, value]) => value !== '');

await runProcess(
  { name: 'Varve’s event bus', createApp: createEventBus },
  { ...BESIDE_A_SERVER, ...Object.fromEntries(given) },
);

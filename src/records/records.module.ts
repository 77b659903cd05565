import { Module } from '@nestjs/common';
import { RecordWriter } from './record-writer.js';

/** What the database alone would know, written to the storage as well. */
@Module({ providers: [RecordWriter] })
export class RecordsModule {}

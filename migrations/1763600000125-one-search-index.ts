import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Words and filters are looked up in one index. */
export class OneSearchIndex1763600000125 implements MigrationInterface {
  readonly name = 'OneSearchIndex1763600000125';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- Words and tags are found in step with each other, each skipping what the other has not. With an
      -- index for each, a tag that every third dataset has was read whole for a word that few have.
      DROP INDEX search_documents_document, search_documents_title, search_documents_tags;
      CREATE INDEX search_documents_content ON search_documents
        USING gin (document, title, tags, file_types) WITH (fastupdate = off);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP INDEX search_documents_content;
      CREATE INDEX search_documents_document ON search_documents USING gin (document)
        WITH (fastupdate = off);
      CREATE INDEX search_documents_title ON search_documents USING gin (title)
        WITH (fastupdate = off);
      CREATE INDEX search_documents_tags ON search_documents USING gin (tags)
        WITH (fastupdate = off);
    `);
  }
}

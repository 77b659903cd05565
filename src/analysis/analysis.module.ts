import { Module } from '@nestjs/common';
import { AnalysesController } from './analyses.controller.js';
import { AnalysisJobs } from './analysis-jobs.js';
import { ResultCommits } from './result-commits.js';
import { ResultSources } from './result-sources.js';

/** Jobs that make new files of tables: samples and analyses. */
@Module({
  controllers: [AnalysesController],
  providers: [AnalysisJobs, ResultCommits, ResultSources],
})
export class AnalysisModule {}

import { Body, Controller, Get, Inject, Put } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { DatasetId } from '../core/ids.js';
import { Forbidden, InvalidInput, NotFound, Unauthenticated } from '../core/problems.js';
import { OnDataset } from '../platform/http/access.decorators.js';
import { IdParam } from '../platform/http/id-param.decorator.js';
import { Problems } from '../platform/http/problems.decorator.js';
import { CheckRulesDto } from './checks.dto.js';
import { DatasetChecks } from './dataset-checks.js';

@ApiTags('checks')
@Controller({ path: 'datasets/:datasetId/checks' })
export class ChecksController {
  constructor(
    private readonly checks: DatasetChecks,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
  ) {}

  @Get()
  @OnDataset('read')
  @ApiOperation({ operationId: 'getChecks', summary: 'What the dataset demands of its versions' })
  @ApiOkResponse({ type: CheckRulesDto })
  @Problems(InvalidInput, Unauthenticated, NotFound)
  async get(@IdParam('datasetId') dataset: DatasetId): Promise<CheckRulesDto> {
    const rules = await this.unitOfWork.read((tx) => this.checks.rules(tx, dataset));
    return Object.assign(new CheckRulesDto(), rules);
  }

  @Put()
  @OnDataset('admin')
  @ApiOperation({
    operationId: 'setChecks',
    summary: 'Set what the dataset demands of its versions',
    description:
      'Every commit, draft and merge from then on: one that breaks a rule is refused (422) with every violation, and nothing is changed. Versions that exist stay.',
  })
  @ApiOkResponse({ type: CheckRulesDto })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  async set(
    @IdParam('datasetId') dataset: DatasetId,
    @Body() rules: CheckRulesDto,
  ): Promise<CheckRulesDto> {
    await this.unitOfWork.run((tx) => this.checks.setRules(tx, dataset, rules));
    return rules;
  }
}

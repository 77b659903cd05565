import { applyDecorators } from '@nestjs/common';
import { ApiExtraModels, ApiResponse, getSchemaPath } from '@nestjs/swagger';
import type { ProblemClass } from '../../core/problems.js';
import { ProblemView } from './problem.view.js';

/** Documents the problems that an operation may answer with, one response per status. */
export function Problems(...problems: ProblemClass[]): MethodDecorator & ClassDecorator {
  const byStatus = Map.groupBy(problems, (problem) => problem.kind.status);
  return applyDecorators(
    ApiExtraModels(ProblemView),
    ...[...byStatus].map(([status, kinds]) =>
      ApiResponse({
        status,
        description: [...new Set(kinds.map(({ kind }) => `${kind.title} (\`${kind.code}\`)`))].join(
          ', ',
        ),
        content: { 'application/problem+json': { schema: { $ref: getSchemaPath(ProblemView) } } },
      }),
    ),
  );
}

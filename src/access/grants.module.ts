import { Module } from '@nestjs/common';
import { DatasetPermissionsController } from './dataset-permissions.controller.js';
import { FilePermissionsController } from './file-permissions.controller.js';
import { GrantsService } from './grants.service.js';

/** Grants on datasets and files, over HTTP. */
@Module({
  controllers: [DatasetPermissionsController, FilePermissionsController],
  providers: [GrantsService],
})
export class GrantsModule {}

import { Module } from '@nestjs/common';
import { CONFIG, type Config } from '../../platform/config/config.js';
import { SecretsModule } from '../../platform/secrets/secrets.module.js';
import { EventAccess } from '../log/event-access.js';
import { WebhookAddresses } from './webhook-address.js';
import { WebhookAlarm } from './webhook-alarm.js';
import { WebhookFanOut } from './webhook-fan-out.js';
import { WebhookSecrets } from './webhook-secrets.js';
import { WebhookWorker } from './webhook-worker.js';
import { WebhooksController } from './webhooks.controller.js';
import { WebhooksService } from './webhooks.service.js';

/** Events posted to addresses that users name. */
@Module({
  imports: [SecretsModule],
  controllers: [WebhooksController],
  providers: [
    EventAccess,
    WebhookAlarm,
    WebhookFanOut,
    WebhookSecrets,
    WebhookWorker,
    WebhooksService,
    {
      provide: WebhookAddresses,
      useFactory: ({ WEBHOOK_ALLOWED_HOSTS }: Config) =>
        new WebhookAddresses(WEBHOOK_ALLOWED_HOSTS),
      inject: [CONFIG],
    },
  ],
})
export class WebhooksModule {}

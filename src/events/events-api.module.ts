import { Module } from '@nestjs/common';
import { EventRetention } from './retention.js';
import { DeadLettersController } from './subscriptions/dead-letters.controller.js';
import { SubscriptionAdmin } from './subscriptions/subscription-admin.js';
import { SubscriptionsController } from './subscriptions/subscriptions.controller.js';

/** What is asked of the bus over HTTP, and its housekeeping. */
@Module({
  controllers: [SubscriptionsController, DeadLettersController],
  providers: [EventRetention, SubscriptionAdmin],
})
export class EventsApiModule {}

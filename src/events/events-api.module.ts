import { Module } from '@nestjs/common';
import { BrokerHealth } from './brokers/broker-health.js';
import { RemoteBusHealth } from './forwarding/remote-bus-health.js';
import { LiveStreams } from './live/live-streams.js';
import { SseController } from './live/sse.controller.js';
import { WsGateway } from './live/ws-gateway.js';
import { EventAccess } from './log/event-access.js';
import { EventsController } from './log/events.controller.js';
import { LogQuery } from './log/log-query.js';
import { EventIntake } from './publishing/event-intake.js';
import { PublishController } from './publishing/publish.controller.js';
import { EventRetention } from './retention.js';
import { DeadLettersController } from './subscriptions/dead-letters.controller.js';
import { SubscriptionAdmin } from './subscriptions/subscription-admin.js';
import { SubscriptionsController } from './subscriptions/subscriptions.controller.js';

/** What is asked of the bus over HTTP, and its housekeeping. */
@Module({
  controllers: [
    EventsController,
    PublishController,
    SseController,
    SubscriptionsController,
    DeadLettersController,
  ],
  providers: [
    BrokerHealth,
    EventAccess,
    EventIntake,
    EventRetention,
    LiveStreams,
    LogQuery,
    RemoteBusHealth,
    SubscriptionAdmin,
    WsGateway,
  ],
})
export class EventsApiModule {}

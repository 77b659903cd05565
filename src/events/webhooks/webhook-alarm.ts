import { Injectable } from '@nestjs/common';
import { Alarm } from '../alarm.js';

/** Wakes this process's sender: there is something to be sent. Other replicas look each second. */
@Injectable()
export class WebhookAlarm extends Alarm {}

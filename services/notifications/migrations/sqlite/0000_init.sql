CREATE TABLE `webhooks` (
	`id` text PRIMARY KEY NOT NULL,
	`owner` text NOT NULL,
	`url` text NOT NULL,
	`events` text NOT NULL,
	`status` text NOT NULL,
	`reason` text,
	`failing_since` integer,
	`secrets` text NOT NULL,
	`version` integer NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `webhooks_by_owner` ON `webhooks` (`owner`,`created_at`);
--> statement-breakpoint
CREATE TABLE `deliveries` (
	`id` text PRIMARY KEY NOT NULL,
	`webhook_id` text NOT NULL,
	`event_id` text NOT NULL,
	`type` text NOT NULL,
	`payload` text NOT NULL,
	`status` text NOT NULL,
	`attempts` text NOT NULL,
	`next_at` integer,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `deliveries_by_webhook` ON `deliveries` (`webhook_id`,`created_at`,`id`);
--> statement-breakpoint
CREATE INDEX `deliveries_by_time` ON `deliveries` (`created_at`);
--> statement-breakpoint
CREATE TABLE `mails` (
	`id` text PRIMARY KEY NOT NULL,
	`template` text NOT NULL,
	`status` text NOT NULL,
	`user_id` text,
	`order_id` text,
	`language` text,
	`sealed` text,
	`facts` text,
	`tries` integer NOT NULL,
	`reason` text,
	`created_at` integer NOT NULL,
	`ended_at` integer
);
--> statement-breakpoint
CREATE INDEX `mails_by_user` ON `mails` (`user_id`);
--> statement-breakpoint
CREATE INDEX `mails_by_status` ON `mails` (`status`,`created_at`);
--> statement-breakpoint
CREATE TABLE `contacts` (
	`order_id` text PRIMARY KEY NOT NULL,
	`sealed` text NOT NULL,
	`customer_id` text,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `contacts_by_customer` ON `contacts` (`customer_id`);
--> statement-breakpoint
CREATE INDEX `contacts_by_time` ON `contacts` (`created_at`);
--> statement-breakpoint
CREATE TABLE `unsubscribed` (
	`digest` text PRIMARY KEY NOT NULL,
	`at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `outbox_events` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`topic` text NOT NULL,
	`type` text NOT NULL,
	`key` text NOT NULL,
	`data` text NOT NULL,
	`time` text NOT NULL,
	`headers` text,
	`at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `outbox_sent` (
	`seq` integer PRIMARY KEY NOT NULL,
	`id` text NOT NULL,
	`topic` text NOT NULL,
	`type` text NOT NULL,
	`key` text NOT NULL,
	`data` text NOT NULL,
	`time` text NOT NULL,
	`headers` text,
	`at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `outbox_sent_at` ON `outbox_sent` (`at`);
--> statement-breakpoint
CREATE TABLE `outbox_inbox` (
	`consumer` text NOT NULL,
	`event` text NOT NULL,
	`at` integer NOT NULL,
	PRIMARY KEY(`consumer`, `event`)
);
--> statement-breakpoint
CREATE INDEX `outbox_inbox_at` ON `outbox_inbox` (`at`);
--> statement-breakpoint
CREATE TABLE `outbox_jobs` (
	`kind` text NOT NULL,
	`key` text NOT NULL,
	`at` integer NOT NULL,
	`data` text,
	`attempt` integer NOT NULL,
	`next` integer NOT NULL,
	`token` text,
	`scheduled` integer,
	PRIMARY KEY(`kind`, `key`)
);
--> statement-breakpoint
CREATE INDEX `outbox_jobs_next` ON `outbox_jobs` (`next`);
--> statement-breakpoint
CREATE TABLE `outbox_dead_letters` (
	`id` text PRIMARY KEY NOT NULL,
	`topic` text NOT NULL,
	`type` text NOT NULL,
	`reason` text NOT NULL,
	`event` text NOT NULL,
	`at` integer NOT NULL,
	`status` text DEFAULT 'dead' NOT NULL,
	`version` integer DEFAULT 1 NOT NULL,
	`history` text DEFAULT '[]' NOT NULL
);
--> statement-breakpoint
CREATE INDEX `outbox_dead_letters_at` ON `outbox_dead_letters` (`at`,`id`);
--> statement-breakpoint
CREATE TABLE `idempotency` (
	`id` text PRIMARY KEY NOT NULL,
	`request` text NOT NULL,
	`status` integer NOT NULL,
	`headers` text NOT NULL,
	`body` text,
	`at` integer NOT NULL,
	`owner` text,
	`sealed_with` text
);
--> statement-breakpoint
CREATE INDEX `idempotency_at` ON `idempotency` (`at`);
--> statement-breakpoint
CREATE INDEX `idempotency_by_seal` ON `idempotency` (`sealed_with`,`id`);

ALTER TABLE `outbox_dead_letters` ADD `status` text DEFAULT 'dead' NOT NULL;
--> statement-breakpoint
ALTER TABLE `outbox_dead_letters` ADD `version` integer DEFAULT 1 NOT NULL;
--> statement-breakpoint
ALTER TABLE `outbox_dead_letters` ADD `history` text DEFAULT '[]' NOT NULL;

ALTER TABLE `webhooks` ADD `sealed_with` text;
--> statement-breakpoint
CREATE INDEX `webhooks_by_key` ON `webhooks` (`sealed_with`,`id`);

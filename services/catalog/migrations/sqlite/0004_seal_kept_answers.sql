ALTER TABLE `idempotency` ADD `owner` text;
--> statement-breakpoint
ALTER TABLE `idempotency` ADD `sealed_with` text;
--> statement-breakpoint
CREATE INDEX `idempotency_by_seal` ON `idempotency` (`sealed_with`,`id`);

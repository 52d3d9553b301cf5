ALTER TABLE `orders` ADD `customer_key` text;
--> statement-breakpoint
ALTER TABLE `orders` ADD `sealed_with` text;
--> statement-breakpoint
CREATE INDEX `orders_by_customer` ON `orders` (`customer_key`,`placed_at`);
--> statement-breakpoint
CREATE INDEX `orders_by_seal` ON `orders` (`sealed_with`,`id`);
--> statement-breakpoint
ALTER TABLE `idempotency` ADD `owner` text;
--> statement-breakpoint
ALTER TABLE `idempotency` ADD `sealed_with` text;
--> statement-breakpoint
CREATE INDEX `idempotency_by_seal` ON `idempotency` (`sealed_with`,`id`);

ALTER TABLE `products` ADD `weight` integer;
--> statement-breakpoint
ALTER TABLE `products` ADD `tax_class` text;

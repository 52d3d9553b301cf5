ALTER TABLE `payments` ADD `customer_id` text;

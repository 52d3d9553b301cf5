ALTER TABLE `stock` ADD `told` integer;

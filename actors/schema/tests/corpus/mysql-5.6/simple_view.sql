CREATE ALGORITHM=UNDEFINED DEFINER=``@`` SQL SECURITY DEFINER VIEW `simple_view` AS select `parent`.`id` AS `id`,`parent`.`code` AS `code` from `parent` where (`parent`.`id` > 1)

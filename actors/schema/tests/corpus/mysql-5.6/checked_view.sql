CREATE ALGORITHM=UNDEFINED DEFINER=``@`` SQL SECURITY DEFINER VIEW `checked_view` AS select `parent`.`id` AS `id`,`parent`.`n` AS `n` from `parent` where (`parent`.`n` > 0) WITH CASCADED CHECK OPTION

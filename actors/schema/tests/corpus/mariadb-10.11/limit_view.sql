CREATE ALGORITHM=UNDEFINED DEFINER=`root`@`localhost` SQL SECURITY DEFINER VIEW `limit_view` AS select `parent`.`id` AS `id` from `parent` order by `parent`.`id` limit 3

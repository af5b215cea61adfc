CREATE ALGORITHM=TEMPTABLE DEFINER=`root`@`localhost` SQL SECURITY DEFINER VIEW `agg_view` AS select `parent`.`code` AS `n`,count(0) AS `total` from `parent` group by `parent`.`code` with rollup

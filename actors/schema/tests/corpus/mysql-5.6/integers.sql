CREATE TABLE `integers` (
  `a` tinyint(4) DEFAULT NULL,
  `b` tinyint(3) unsigned NOT NULL DEFAULT '7',
  `c` smallint(6) DEFAULT NULL,
  `d` mediumint(8) unsigned zerofill DEFAULT NULL,
  `e` int(7) DEFAULT NULL,
  `f` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `g` tinyint(1) NOT NULL DEFAULT '1',
  `h` tinyint(1) DEFAULT NULL,
  PRIMARY KEY (`f`)
) ENGINE=InnoDB AUTO_INCREMENT=4711 DEFAULT CHARSET=utf8mb4 COMMENT='it''s a \\ "table"; 50% `x`'

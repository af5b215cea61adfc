CREATE TABLE `integers` (
  `a` tinyint DEFAULT NULL,
  `b` tinyint unsigned NOT NULL DEFAULT '7',
  `c` smallint DEFAULT NULL,
  `d` mediumint(8) unsigned zerofill DEFAULT NULL,
  `e` int DEFAULT NULL,
  `f` bigint unsigned NOT NULL AUTO_INCREMENT,
  `g` tinyint(1) NOT NULL DEFAULT '1',
  `h` tinyint(1) DEFAULT NULL,
  PRIMARY KEY (`f`)
) ENGINE=InnoDB AUTO_INCREMENT=4711 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci COMMENT='it''s a \\ "table"; 50% `x`'

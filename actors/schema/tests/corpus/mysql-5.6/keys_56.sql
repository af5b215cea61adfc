CREATE TABLE `keys_56` (
  `a` int(11) NOT NULL,
  `g` geometry NOT NULL,
  `t` text,
  PRIMARY KEY (`a`),
  SPATIAL KEY `sg` (`g`),
  FULLTEXT KEY `f` (`t`)
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb4

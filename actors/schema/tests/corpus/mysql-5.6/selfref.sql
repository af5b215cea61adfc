CREATE TABLE `selfref` (
  `id` int(11) NOT NULL,
  `up` int(11) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `fk_self` (`up`),
  CONSTRAINT `fk_self` FOREIGN KEY (`up`) REFERENCES `selfref` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
